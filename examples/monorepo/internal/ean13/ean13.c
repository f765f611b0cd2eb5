#include "ean13.h"

#ifndef EAN13_DARK
#error "EAN13_DARK and EAN13_LIGHT are set by the #cgo line of ean13_cgo.go"
#endif

enum { DIGIT_MODULES = 7, HALF = 6 };

/* The seven modules of each digit in set L, most significant bit first. Set R
   is its complement, and set G is set R read backwards. */
static const unsigned char set_l[10] = {
    0x0d, 0x19, 0x13, 0x3d, 0x23, 0x31, 0x2f, 0x3b, 0x37, 0x0b,
};

/* The first digit is not drawn. It chooses which of the six digits of the left
   half are drawn in set G: a bit each, most significant first. */
static const unsigned char left_in_g[10] = {
    0x00, 0x0b, 0x0d, 0x0e, 0x13, 0x19, 0x1c, 0x15, 0x16, 0x1a,
};

static unsigned set_r(int digit) { return ~set_l[digit] & 0x7f; }

static unsigned set_g(int digit) {
    unsigned forward = set_r(digit), backward = 0;
    for (int i = 0; i < DIGIT_MODULES; i++) {
        backward = backward << 1 | (forward >> i & 1);
    }
    return backward;
}

/* Draws the lowest count bits, most significant first. */
static char *draw(char *out, unsigned bits, int count) {
    while (count-- > 0) {
        *out++ = bits >> count & 1 ? EAN13_DARK : EAN13_LIGHT;
    }
    return out;
}

char ean13_check_digit(const char *digits) {
    int sum = 0;
    for (int i = 0; i < EAN13_DIGITS - 1; i++) {
        sum += (digits[i] - '0') * (i % 2 == 0 ? 1 : 3);
    }
    return (char)('0' + (10 - sum % 10) % 10);
}

void ean13_modules(const char *code, char *out) {
    unsigned in_g = left_in_g[code[0] - '0'];
    out = draw(out, 5, 3);
    for (int i = 0; i < HALF; i++) {
        int digit = code[1 + i] - '0';
        out = draw(out, in_g >> (HALF - 1 - i) & 1 ? set_g(digit) : set_l[digit], DIGIT_MODULES);
    }
    out = draw(out, 10, 5);
    for (int i = 0; i < HALF; i++) {
        out = draw(out, set_r(code[1 + HALF + i] - '0'), DIGIT_MODULES);
    }
    draw(out, 5, 3);
}
