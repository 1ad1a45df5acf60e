"""Other libraries' classes over this engine, and their fitted models turned into ours and back."""
