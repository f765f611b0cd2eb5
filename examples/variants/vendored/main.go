// Command vendored prints an id that is always the same for the same name. Its
// dependency is in the vendor folder, so it builds without a module cache.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"
)

func main() {
	name := strings.Join(os.Args[1:], " ")
	fmt.Println(uuid.NewSHA1(uuid.NameSpaceURL, []byte(name)))
}
