/* EAN-13 bar codes. No function allocates, keeps a pointer or needs a
   terminating zero; the callers have checked that all characters are digits. */
#ifndef SHOP_EAN13_H
#define SHOP_EAN13_H

#define EAN13_DIGITS 13
#define EAN13_MODULES 95

/* Returns the check digit, as a character, for the first 12 digits of a code. */
char ean13_check_digit(const char *digits);

/* Writes EAN13_MODULES characters to out, EAN13_DARK or EAN13_LIGHT each. */
void ean13_modules(const char *code, char *out);

#endif
