#define GOLDEN 7
