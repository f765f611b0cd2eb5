#define WIDTH 3
