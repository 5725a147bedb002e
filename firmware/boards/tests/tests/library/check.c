/* Compares the functions of `library.c`, which have another name here, with those of the machine that runs this. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t small_strlen(const char *);
int small_strcmp(const char *, const char *);
void small_qsort(void *, size_t, size_t, int (*)(const void *, const void *));
int small_vsnprintf(char *, size_t, const char *, va_list);
int small_snprintf(char *, size_t, const char *, ...);

static int failures;

static void
check(int holds, const char *what, const char *is, const char *should)
{
    if (!holds) {
        failures++;
        printf("%s: \"%s\", not \"%s\"\n", what, is, should);
    }
}

static int
ascending(const void *one, const void *other)
{
    return memcmp(one, other, 3);
}

static int
sign(int number)
{
    return (number > 0) - (number < 0);
}

#define FORMAT(room, ...)                                                                       \
    do {                                                                                        \
        char ours[64], theirs[64];                                                              \
        memset(ours, '#', sizeof ours);                                                         \
        memset(theirs, '#', sizeof theirs);                                                     \
        int our_length = small_snprintf(ours, room, __VA_ARGS__);                               \
        int their_length = snprintf(theirs, room, __VA_ARGS__);                                 \
        check(our_length == their_length && !memcmp(ours, theirs, sizeof ours), #__VA_ARGS__,   \
              room ? ours : "", room ? theirs : "");                                            \
    } while (0)

int
main(void)
{
    for (size_t count = 0; count < 200; count++) {
        char ours[600], theirs[600];
        for (size_t i = 0; i < 3 * count; i++)
            ours[i] = theirs[i] = (char)(rand() % 5);
        small_qsort(ours, count, 3, ascending);
        qsort(theirs, count, 3, ascending);
        check(!memcmp(ours, theirs, 3 * count), "qsort", "", "");
    }
    const char *texts[] = { "", "a", "ab", "b", "\xff", "main", "mainly", "_start" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check(small_strlen(texts[i]) == strlen(texts[i]), "strlen", texts[i], "");
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            check(sign(small_strcmp(texts[i], texts[k])) == sign(strcmp(texts[i], texts[k])), "strcmp", texts[i], texts[k]);
    }
    for (size_t room = 0; room < 24; room++) {
        FORMAT(room, "nothing to convert");
        FORMAT(room, "%s module load failed: %s", "WASM", "magic");
        FORMAT(room, "%d and %d and %i", 0, -7, 2147483647);
        FORMAT(room, "%d", -2147483647 - 1);
        FORMAT(room, "%u %x %X %%", 4294967295u, 0xbeefu, 9u);
        FORMAT(room, "%02x%04x %3u %12u", 10u, 255u, 7u, 4294967295u);
        FORMAT(room, "%ld %lu %zu %c", 5L, 6UL, (size_t)7, 'x');
    }
    return failures != 0;
}
