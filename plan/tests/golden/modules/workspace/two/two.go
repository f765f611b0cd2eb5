// Package two is of the workspace's other module.
package two

// Name is its name.
const Name = "two"
