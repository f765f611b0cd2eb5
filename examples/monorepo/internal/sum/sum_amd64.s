//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// func sum(xs []int64) (total int64, ok bool)
TEXT ·sum(SB), NOSPLIT, $0-33
	MOVQ xs_base+0(FP), SI
	MOVQ xs_len+8(FP), CX
	XORQ AX, AX
	TESTQ CX, CX
	JEQ  done

loop:
	ADDQ (SI), AX
	JOS  overflow
	ADDQ $const_stride, SI
	DECQ CX
	JNE  loop

done:
	MOVQ AX, total+24(FP)
	MOVB $1, ok+32(FP)
	RET

overflow:
	MOVQ $0, total+24(FP)
	MOVB $0, ok+32(FP)
	RET
