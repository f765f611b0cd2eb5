#include "textflag.h"
#include "go_asm.h"
#include "macros.h"

TEXT ·Of(SB), NOSPLIT, $0-24
	MOVQ a+0(FP), AX
	ADD(b+8(FP), AX)
	MOVQ AX, ret+16(FP)
	RET
