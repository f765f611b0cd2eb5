#define ADD(from, to) ADDQ from, to
