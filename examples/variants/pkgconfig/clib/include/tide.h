/* A library that is only a header, found by way of tide.pc. */
#ifndef TIDE_H
#define TIDE_H

#include <math.h>

/* Hours from one high water to the next. */
#define TIDE_PERIOD 12.4206

/* Returns the level in metres, some hours after high water. */
static inline double tide_level(double range, double hours) {
    return range / 2 * cos(6.283185307179586 * hours / TIDE_PERIOD);
}

#endif
