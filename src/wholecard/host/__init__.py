"""What to change on a host, one file per kind of change, the plan and the journal.

Standard library only, Python 3.9: this room travels to hosts as one zipapp.
"""
