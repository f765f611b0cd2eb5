package main

// #cgo pkg-config: golden
// #include <golden.h>
import "C"

func main() { println(C.GOLDEN) }
