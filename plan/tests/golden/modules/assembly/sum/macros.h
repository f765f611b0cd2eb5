#include "inner/add.h"
