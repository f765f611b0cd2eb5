#define TABLE "factor.inc"
#include TABLE

int factor(void) { return table[0]; }
