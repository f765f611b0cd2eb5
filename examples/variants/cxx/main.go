// Command cxx counts the different words among its arguments, in C++.
package main

import (
	"fmt"
	"os"
	"strings"

	"example.com/cxx/tally"
)

func main() { fmt.Println(tally.Words(strings.Join(os.Args[1:], " "))) }
