/* What WAMR calls of the C library, as small as it can be: newlib's are fast for text that is not here, and bring along twenty times
   the code. memset, which is called often, is in platform.c; memcpy, memmove and mathematics are newlib's. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t
strlen(const char *text)
{
    const char *end = text;
    while (*end)
        end++;
    return (size_t)(end - text);
}

int
strcmp(const char *one, const char *other)
{
    while (*one && *one == *other) {
        one++;
        other++;
    }
    return (unsigned char)*one - (unsigned char)*other;
}

static void
swap(char *one, char *other, size_t size)
{
    for (; size; size--) {
        char byte = *one;
        *one++ = *other;
        *other++ = byte;
    }
}

/* A heap sort: it takes no stack, and a module cannot order its exports so that it takes long. */
void
qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    char *items = base;
    size_t start = count / 2;
    while (count > 1) {
        if (start > 0) {
            start--;
        }
        else {
            count--;
            swap(items, items + count * size, size);
        }
        size_t parent = start;
        for (;;) {
            size_t child = 2 * parent + 1;
            if (child >= count)
                break;
            if (child + 1 < count && compare(items + child * size, items + (child + 1) * size) < 0)
                child++;
            if (compare(items + parent * size, items + child * size) >= 0)
                break;
            swap(items + parent * size, items + child * size, size);
            parent = child;
        }
    }
}

/* A text of a given size under way. */
struct text {
    char *start;
    size_t room;
    size_t length;
};

static void
put(struct text *text, char byte)
{
    if (text->length + 1 < text->room)
        text->start[text->length] = byte;
    text->length++;
}

static void
put_number(struct text *text, uint32_t number, uint32_t base, char padding, unsigned width)
{
    char digits[10];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    for (; width > count; width--)
        put(text, padding);
    while (count)
        put(text, digits[--count]);
}

/* The conversions that WAMR's messages have, of numbers to 32 bits: %s %d %i %u %x %X %p %c, with a width. Of another one only its letter
   is printed, and the numbers after it may be wrong. */
int
vsnprintf(char *start, size_t room, const char *format, va_list values)
{
    struct text text = { start, room, 0 };
    for (; *format; format++) {
        if (*format != '%') {
            put(&text, *format);
            continue;
        }
        char padding = ' ';
        unsigned width = 0;
        format++;
        if (*format == '0')
            padding = '0';
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        while (*format == 'l' || *format == 'z' || *format == 'h')
            format++;
        switch (*format) {
            case 's':
            {
                const char *string = va_arg(values, const char *);
                while (*string)
                    put(&text, *string++);
                break;
            }
            case 'c':
                put(&text, (char)va_arg(values, int));
                break;
            case 'd':
            case 'i':
            {
                int32_t number = va_arg(values, int32_t);
                if (number < 0)
                    put(&text, '-');
                put_number(&text, number < 0 ? -(uint32_t)number : (uint32_t)number, 10, padding, width);
                break;
            }
            case 'u':
                put_number(&text, va_arg(values, uint32_t), 10, padding, width);
                break;
            case 'x':
            case 'X':
            case 'p':
                put_number(&text, va_arg(values, uint32_t), 16, padding, width);
                break;
            case '\0':
                format--;
                break;
            default:
                put(&text, *format);
        }
    }
    if (room)
        start[text.length < room ? text.length : room - 1] = '\0';
    return (int)text.length;
}

int
snprintf(char *start, size_t room, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    int length = vsnprintf(start, room, format, values);
    va_end(values);
    return length;
}
