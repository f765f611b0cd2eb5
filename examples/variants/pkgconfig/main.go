// Command pkgconfig prints the levels of a tide.
package main

import (
	"fmt"

	"example.com/pkgconfig/tide"
)

func main() {
	for hour := range 7 {
		fmt.Printf("station %d, %d h: %+.2f m\n", tide.Station(), hour, tide.Level(3, float64(hour)))
	}
}
