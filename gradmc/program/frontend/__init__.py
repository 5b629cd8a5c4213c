"""The front end of the loop compiler: plain Python functions to jaxprs in the loop IR.

Steps: `source` finds a function's syntax tree, `structuring` removes break, continue and early return, `liveness`
says which variables a block reads later, `functionalise` turns bodies into functions and operations into
hooks, `convert` compiles the result, and the hooks (`hooks` and the modules it names) decide at trace time
what runs in Python and what is traced once with a symbolic index. At the end `implicit` gives what loops find by
comparisons its derivative.
"""
