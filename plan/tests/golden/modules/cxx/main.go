package main

// int length(void);
import "C"

func main() { println(C.length()) }
