package main

import "example.com/cgo/native"

func main() { println(native.Twice(21)) }
