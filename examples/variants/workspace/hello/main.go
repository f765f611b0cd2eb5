// Command hello greets whom it is told to. It imports a package of another module
// of the workspace, which no require line names.
package main

import (
	"fmt"
	"os"
	"strings"

	"example.com/greet"
)

func main() { fmt.Println(greet.Line(strings.Join(os.Args[1:], " "))) }
