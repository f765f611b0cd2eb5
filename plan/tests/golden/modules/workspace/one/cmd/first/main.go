package main

import "example.com/two"

func main() { println("first", two.Name) }
