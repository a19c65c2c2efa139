/* A state machine that reads tokens of a made-up text of N KiB (default 2):
 * words, numbers, strings and comments. Short blocks, many branches. */
#include "guest.h"

enum state { START, WORD, NUMBER, STRING, ESCAPE, COMMENT };

static const char ALPHABET[] = "abcxyz  0123 _\"\\#\n\n;e+";

GUEST_MAIN(n)
{
    uint64_t random = 99, counts[6] = {0}, sum = 0, length = 0;
    enum state state = START;
    if (n == 0)
        n = 2;
    for (uint64_t i = 0; i < n * 1024; i++) {
        char c = ALPHABET[(guest_random(&random) >> 32) % (sizeof ALPHABET - 1)];
        int letter = (c >= 'a' && c <= 'z') || c == '_';
        int digit = c >= '0' && c <= '9';
        enum state next = state;
        switch (state) {
        case START:
            next = letter ? WORD : digit ? NUMBER : c == '"' ? STRING : c == '#' ? COMMENT : START;
            break;
        case WORD:
            if (!letter && !digit)
                next = START;
            break;
        case NUMBER:
            if (!digit && c != 'e')
                next = START;
            break;
        case STRING:
            next = c == '\\' ? ESCAPE : c == '"' ? START : STRING;
            break;
        case ESCAPE:
            next = STRING;
            break;
        case COMMENT:
            if (c == '\n')
                next = START;
            break;
        }
        length++;
        if (next != state) {
            counts[state]++;
            sum = sum * 33 + length * (uint64_t)(state + 1);
            length = 0;
        }
        state = next;
    }
    for (int i = 0; i < 6; i++)
        sum = guest_mix(sum, counts[i]);
    return sum;
}
