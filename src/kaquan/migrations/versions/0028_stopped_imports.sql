-- An import ends when its programme stops before all of it is applied, and says which lines were left out. Two checks are
-- replaced: takes the locks of imports_file and imports_line for as long as each is read once.

ALTER TABLE imports_file
  DROP CONSTRAINT imports_file_status,
  ADD CONSTRAINT imports_file_status
    CHECK (status IN ('refused', 'checked', 'applying', 'applied', 'stopped', 'reversing', 'reversed'));

ALTER TABLE imports_line
  DROP CONSTRAINT imports_line_status,
  ADD CONSTRAINT imports_line_status
    CHECK (status IN ('waiting', 'taken', 'left_out', 'applied', 'used', 'reversed'));
COMMENT ON COLUMN imports_line.status IS
  'taken: its number became another card''s after the check; left_out: its programme stopped before; used: the card was used, so it was not reversed';
