package main

import "example.com/two"

func main() { println("second", two.Name) }
