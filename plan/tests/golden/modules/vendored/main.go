package main

import (
	"example.com/Pure"
	"example.com/native"
)

func main() { println(pure.Name, native.One()) }
