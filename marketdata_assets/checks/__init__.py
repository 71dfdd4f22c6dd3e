"""What must hold before anything is stored, merged or published.

Here belong the checks of the tables' content, as SQL over relations, and the ledger of what is
complete. How an answer is read is `resources`; how a file is written is `storage`; who runs the
checks is `assets`.
"""
