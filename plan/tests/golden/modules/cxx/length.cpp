#include <string>

#include "text.hpp"

extern "C" int length(void) { return std::string(TEXT).size(); }
