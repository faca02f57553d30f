"""What is printed beside the bar."""

from sterna.training.progress import Progress


def test_notes_that_differ_in_their_numbers_alone_are_said_once(capsys):
    bar = Progress(quiet=False)
    for sentence in ("The 40 rows are worth 31 rows.", "The 40 rows are worth 12.5 rows.", "Another sentence."):
        bar.say(sentence)
    assert capsys.readouterr().err == "The 40 rows are worth 31 rows.\nAnother sentence.\n"
