#include <stddef.h>

#include "number.h"

number twice(number n);
