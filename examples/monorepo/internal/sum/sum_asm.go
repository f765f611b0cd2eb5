//go:build (amd64 || arm64) && !purego

package sum

// sum adds xs. With ok false total is 0. See sum_amd64.s and sum_arm64.s.
//
//go:noescape
func sum(xs []int64) (total int64, ok bool)
