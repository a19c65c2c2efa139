/* CRC-32 (the polynomial of IEEE 802.3) of N KiB (default 2), by table and by
 * bits for the first KiB; the two must agree. */
#include "guest.h"

static uint32_t table[256];

GUEST_MAIN(n)
{
    if (n == 0)
        n = 2;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    uint32_t crc = 0xffffffffu, slow = 0xffffffffu;
    for (uint64_t byte = 0; byte < n * 1024; byte++) {
        uint8_t value = (uint8_t)(byte * 7 + (byte >> 8));
        crc = table[(crc ^ value) & 0xff] ^ crc >> 8;
        if (byte < 1024) {
            slow ^= value;
            for (int k = 0; k < 8; k++)
                slow = slow >> 1 ^ (0xedb88320u & (0u - (slow & 1)));
            if (slow != crc)
                return byte;
        }
    }
    return crc ^ 0xffffffffu;
}
