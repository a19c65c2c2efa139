/* Prints N greetings (default 3) and returns the number of bytes. */
#include "guest.h"

GUEST_MAIN(n)
{
    static const char greeting[] = "hello from a PVM2 guest, line ";
    uint64_t bytes = 0;
    if (n == 0)
        n = 3;
    for (uint64_t line = 1; line <= n; line++) {
        char text[64];
        size_t len = sizeof greeting - 1;
        memcpy(text, greeting, len);
        char digits[20];
        size_t count = 0;
        for (uint64_t rest = line; rest; rest /= 10)
            digits[count++] = (char)('0' + rest % 10);
        while (count)
            text[len++] = digits[--count];
        text[len++] = '\n';
        guest_write(text, len);
        bytes += len;
    }
    return bytes;
}
