// Command nosum prints an id. Its module has no go.sum, so go refuses to build it.
package main

import (
	"fmt"

	"github.com/google/uuid"
)

func main() { fmt.Println(uuid.New()) }
