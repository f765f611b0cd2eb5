package main

import (
	_ "embed"

	"example.com/pure/lib"
)

//go:embed data/words.txt
var words string

func main() { println(lib.Greeting(), words) }
