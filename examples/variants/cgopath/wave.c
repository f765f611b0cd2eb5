#include <math.h>

#include "wave.h"

double wave_height(double amplitude, double period, double time) {
    return amplitude * sin(WAVE_TURN * time / period);
}
