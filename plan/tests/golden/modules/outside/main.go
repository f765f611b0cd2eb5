package main

import "example.com/beside"

func main() { println(beside.Width()) }
