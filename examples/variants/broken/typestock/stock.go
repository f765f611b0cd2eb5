// Package typestock calls a function with too few arguments. It has nothing to do
// with typesales: one failing must not keep the other from being reported.
package typestock

func reserve(sku string, pieces int) bool { return sku != "" && pieces > 0 }

// Available says whether there is any.
func Available(sku string) bool { return reserve(sku) }
