/* The interface between wave.c, which is Go's to build, and its callers. It lies
   outside the package folder: only the -I of the #cgo line finds it. */
#ifndef WAVE_H
#define WAVE_H

#include "wave/units.h"

/* Returns the height of a sine wave, in WAVE_UNIT, at a time in seconds. */
double wave_height(double amplitude, double period, double time);

#endif
