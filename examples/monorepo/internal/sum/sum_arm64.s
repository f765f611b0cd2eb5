//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func sum(xs []int64) (total int64, ok bool)
TEXT ·sum(SB), NOSPLIT, $0-33
	MOVD xs_base+0(FP), R0
	MOVD xs_len+8(FP), R1
	MOVD ZR, R2
	CBZ  R1, done

loop:
	MOVD.P const_stride(R0), R3
	ADDS   R3, R2, R2
	BVS    overflow
	SUB    $1, R1, R1
	CBNZ   R1, loop

done:
	MOVD R2, total+24(FP)
	MOVD $1, R3
	MOVB R3, ok+32(FP)
	RET

overflow:
	MOVD ZR, total+24(FP)
	MOVB ZR, ok+32(FP)
	RET
