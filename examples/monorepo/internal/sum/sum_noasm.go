//go:build !(amd64 || arm64) || purego

package sum

// sum adds xs. With ok false total is 0.
func sum(xs []int64) (total int64, ok bool) { return sumGeneric(xs) }
