#include "twice.h"
#include "../shared/shared.h"

number twice(number n) { return n * SHARED * factor(); }
