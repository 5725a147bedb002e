/* The smallest guest that shows what an emulator has to do: it prints, it counts its starts in its flash, it says what seed it
 * was given, and it crashes when a word of its flash says so. For the MPS2 AN385 and AN386, without any library. For
 * netduinoplus2, which has no flash to keep and to be told by, it resets itself instead. */
#include <stdint.h>

#ifdef NETDUINO
#define UART_DATA (*(volatile uint32_t *)0x40011004)
#define PROVISIONING (*(volatile uint32_t *)0x2001f000)
#define SEED ((volatile uint32_t *)0x2001f804)
#define RESET (*(volatile uint32_t *)0xe000ed0c)
#define STACK 0x20010000
#else
#define UART_DATA (*(volatile uint32_t *)0x40004000)
#define UART_STATE (*(volatile uint32_t *)0x40004004)
#define UART_CTRL (*(volatile uint32_t *)0x40004008)
#define UART_BAUDDIV (*(volatile uint32_t *)0x40004010)
#define PROVISIONING (*(volatile uint32_t *)0x21000000)
#define SEED ((volatile uint32_t *)0x21001004)
#define STARTS (*(volatile uint32_t *)0x21003000)
#define COMMAND (*(volatile uint32_t *)0x21003004)
#define CRASH 0x58585858u
#define STACK 0x20400000
#endif

static void put(char c)
{
#ifndef NETDUINO
    while (UART_STATE & 1) {
    }
#endif
    UART_DATA = (uint32_t)c;
}

static void say(const char *text)
{
    while (*text)
        put(*text++);
}

static void number(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[(value >> shift) & 15]);
}

void start(void)
{
#ifdef NETDUINO
    uint32_t starts = 0;
#else
    UART_BAUDDIV = 16;
    UART_CTRL = 1;
    uint32_t starts = STARTS + 1; /* erased flash is 0xffffffff: the first start is number 0 */
    STARTS = starts;
#endif
    say("start ");
    number(starts);
    say(PROVISIONING == 0x52504257 ? " provisioned" : " blank");
    say(" seed ");
    number(SEED[0]);
    number(SEED[1]);
    put('\n');
#ifdef NETDUINO
    RESET = 0x05fa0004;
    for (;;) {
    }
#else
    while (COMMAND != CRASH) {
    }
    COMMAND = 0;
    say("crash\n");
    __asm__ volatile("udf #0");
#endif
}

/* A fault in the handler of faults: the processor locks up, and QEMU gives up. */
static void fault(void)
{
    __asm__ volatile("udf #0");
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    STACK, (uintptr_t)start, (uintptr_t)fault, (uintptr_t)fault,
};
