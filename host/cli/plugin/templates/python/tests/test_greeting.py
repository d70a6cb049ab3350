import unittest

from greeting import greeting


class Greeting(unittest.TestCase):
    def test_says_how_often(self):
        self.assertEqual(greeting("Ada", 2), "Hello Ada, for the 2. time")


if __name__ == "__main__":
    unittest.main()
