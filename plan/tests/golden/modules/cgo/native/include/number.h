typedef int number;

int factor(void);
