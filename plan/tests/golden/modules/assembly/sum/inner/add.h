#include "deeper/add.h"
