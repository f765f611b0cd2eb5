//go:build !linux

package lib

const place = ""
