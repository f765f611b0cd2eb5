package lib

const place = " from linux"
