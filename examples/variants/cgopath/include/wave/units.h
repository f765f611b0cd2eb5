#ifndef WAVE_UNITS_H
#define WAVE_UNITS_H

#define WAVE_UNIT "m"
#define WAVE_TURN 6.283185307179586

#endif
