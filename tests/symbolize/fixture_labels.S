/* Hand-written code: labels without type and size, and a function with a label inside. */
	.text
	.p2align 6
	.globl label_after_code
label_after_code:
	nop
	nop
	nop
	nop
second_label:
	xorl %eax, %eax
	ret
.Lnot_a_name:
	nop
	.p2align 6
	.globl sized_with_label
	.type sized_with_label, @function
sized_with_label:
	nop
	nop
inner_label:
	nop
	ret
	.size sized_with_label, . - sized_with_label
	.p2align 6, 0xcc
	.section .note.GNU-stack, "", @progbits
