package main

import "example.com/assembly/sum"

func main() { println(sum.Of(1, 2)) }
