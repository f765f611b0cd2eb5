// Command pgo adds up areas many times over. The profile of one of its own runs is
// beside it as default.pgo, which go build takes by itself; to make it anew:
//
//	go run -pgo=off . -cpuprofile default.pgo
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"runtime/pprof"

	"example.com/pgo/shape"
)

func main() {
	profile := flag.String("cpuprofile", "", "write a CPU profile to this `file`")
	rounds := flag.Int("rounds", 200_000, "how often to add up")
	flag.Parse()
	if *profile != "" {
		file, err := os.Create(*profile)
		if err != nil {
			log.Fatal(err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			log.Fatal(err)
		}
		defer file.Close()
		defer pprof.StopCPUProfile()
	}
	shapes := make([]shape.Shape, 0, 1000)
	for i := range cap(shapes) {
		side := float64(i % 7)
		if i%10 == 0 {
			shapes = append(shapes, shape.Circle{Radius: side})
		} else {
			shapes = append(shapes, shape.Polygon{{0, 0}, {side, 0}, {side, 2}, {0, 2}})
		}
	}
	total := 0.0
	for range *rounds {
		total += shape.Total(shapes)
	}
	fmt.Printf("%.3e\n", total)
}
