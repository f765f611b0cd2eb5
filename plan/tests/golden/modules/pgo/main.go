package main

func main() { println("profiled") }
